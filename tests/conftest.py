"""What holds for all tests."""

import signal


def pytest_configure():
    # A program that a script starts in the background, as by nohup, is told to ignore Ctrl-C, and
    # tells so those that it starts. Tests press it, and would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
