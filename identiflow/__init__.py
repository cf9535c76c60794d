"""The command line `identiflow`, on files that people have."""
