"""`python -m bolide`: the `bolide` command where the script folder is not on PATH. Nothing else."""

from bolide.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
