"""Hostile files: well-formed model files with wrong contents, loaded and used under guard.

    python -m tests.hostile --seconds 600 --seed 1

writes files that were changed in a dozen ways, with right checksums (and some with wrong ones),
loads each in a child process under limits of time and memory, calls what a user would call, and
says what went wrong: a crash, an exception that is not arproc's, a NaN, too much time or memory,
or an event that no file may cause (a file written elsewhere, a process, a socket).
"""
