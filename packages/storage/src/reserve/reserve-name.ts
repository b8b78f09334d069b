/** Name of the reserve of a service, beside the files of tenants in its folder. */
export const serviceReserveName = '.reserve';
