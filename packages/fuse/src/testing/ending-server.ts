// A server that ends before it serves.
process.exitCode = 3;
process.disconnect();
