"""`python -m arproc` is the command `arproc`."""

from arproc.cli import main

if __name__ == "__main__":
    main()
