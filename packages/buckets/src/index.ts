export { createBucketFs, type BucketFs, type BucketFsOptions } from './create-bucket-fs.ts';
export { createReadBudget, type ReadBudget } from './content/read-budget.ts';
export { createScratchSpace, type ScratchSpace } from './content/scratch.ts';
