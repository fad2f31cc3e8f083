"""Jobs killed on the way: callbacks that raise, and results compared bit by bit."""

from dataclasses import fields

from basins.training import checkpoint


class KilledError(Exception):
    """What the progress callback raises in place of a kill."""


def kill_after(count):
    """Return a progress callback that lets so many epochs be done and no more."""
    done = []

    def advance(more):
        done.append(more)
        if sum(done) == count:
            raise KilledError

    return advance


def kill_at_save(monkeypatch, count):
    """Let a job keep its progress so many times and kill it then, once; return the saves so far."""
    saved, real = [], checkpoint.save

    def save_and_die(*given):
        real(*given)
        saved.append(1)
        if len(saved) == count:
            raise KilledError

    monkeypatch.setattr(checkpoint, "save", save_and_die)
    return saved


def assert_same_bits(first, second):
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert one.tobytes() == other.tobytes(), field.name
