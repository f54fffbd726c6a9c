"""`python -m unseam`."""

from unseam.cli import run

if __name__ == "__main__":
    run()
