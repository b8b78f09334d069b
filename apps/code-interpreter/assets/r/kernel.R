# A file, and no `R -e`: that keeps a deleted file open, and gVisor then saves no sandbox.
IRkernel::main()
