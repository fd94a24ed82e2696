"""`python -m gslb`: the command line."""

from gslb.cli import main

if __name__ == "__main__":  # a spawned child imports this module again and must not run it
    main()
