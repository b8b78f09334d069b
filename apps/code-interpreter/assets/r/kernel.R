# A script file is used because `R -e` keeps a deleted file open, and gVisor cannot save such a sandbox.
IRkernel::main()
