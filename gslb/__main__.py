"""`python -m gslb`: the command line."""

if __name__ == "__main__":  # a spawned child imports this module again and must not run it
    import os
    import signal

    if os.getpid() == 1:
        # What process 1 has no handler for, the kernel throws away: a container that is stopped
        # while it imports would be killed ten seconds later. The server has its own, from then on.
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # deploy/entrypoint.sh blocked it

    from gslb.cli import main

    main()
