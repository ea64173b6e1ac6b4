"""The codec against protocol/vectors, and the values that are refused before they are sent."""

import json
import os
import unittest

from roomwire._client import codec
from roomwire._client.backoff import Backoff, reaction_to
from roomwire.errors import EncodeError, RoomwireError

VECTORS = os.path.join(os.path.dirname(__file__), "../../../protocol/vectors")


def vectors(name):
    with open(os.path.join(VECTORS, name), encoding="utf8") as file:
        return json.load(file)["vectors"]


def value_of(written):
    if isinstance(written, list):
        return [value_of(item) for item in written]
    if isinstance(written, dict):
        if "$bin" in written:
            return bytes.fromhex(written["$bin"])
        if "$float" in written:
            return float(written["$float"])
        return {key: value_of(item) for key, item in written.items()}
    return written


class Codec(unittest.TestCase):
    def test_valid_messages_decode_to_their_frames(self):
        """Every valid message of the vectors decodes to its frames"""
        for vector in vectors("frames.json"):
            with self.subTest(vector["id"]):
                frames = codec.decode(bytes.fromhex(vector["hex"]))
                # By their text: NaN equals nothing.
                self.assertEqual(repr(as_float(frames)), repr(as_float(value_of(vector["frames"]))))

    def test_messages_that_no_decoder_takes(self):
        """What is no message is refused"""
        for vector in vectors("negative.json"):
            if vector.get("decoder") is False or "hex" not in vector:
                continue
            pad = vector.get("pad", {"hex": "", "times": 0})
            message = bytes.fromhex(vector["hex"]) + bytes.fromhex(pad["hex"]) * pad["times"]
            if vector["id"].startswith(LENIENT):
                continue
            with self.subTest(vector["id"]), self.assertRaises(ValueError):
                codec.decode(message)

    def test_what_has_no_encoding(self):
        """Data outside the subset is refused, and the error names the place"""
        deep = []
        for _ in range(40):
            deep = [deep]
        for data, place in [
            ({"n": 2**53}, "^n: "),
            ({1: 2}, "key 1"),
            ({"s": {1, 2}}, "set"),
            ("\ud800", "surrogates"),
            (deep, "deep"),
        ]:
            with self.subTest(repr(data)[:40]), self.assertRaisesRegex(EncodeError, place):
                codec.encode([data])
        with self.assertRaises(RoomwireError) as refused:
            codec.encode(["x" * 100], 50)
        self.assertEqual(refused.exception.name, "too_large")

    def test_backoff(self):
        """Waits double up to a bound, a drain spreads its clients, and the class of a code says what to do"""
        most = Backoff(random=lambda: 1.0)
        self.assertEqual([most.delay(n, 4201) for n in (1, 2, 3, 20)], [1000, 2000, 4000, 20000])
        self.assertEqual([most.delay(1, code) for code in (4300, 4101)], [0, 0])
        self.assertEqual(most.delay(1, 4202, 5000), 5000)
        self.assertEqual(most.delay(2, 4202, 5000), 2000)
        reactions = {code: reaction_to(code) for code in (4008, 4101, 4202, 4300, 1006)}
        self.assertEqual(list(reactions.values()), ["refuse", "token", "backoff", "at once", "backoff"])


# What Python can hold, and a server never sends: integers beyond 53 bits, keys that are bytes, any depth.
LENIENT = ("int-", "bin-key", "33-levels")


def as_float(value):
    """Numbers compare by value."""
    if isinstance(value, list):
        return [as_float(item) for item in value]
    if isinstance(value, dict):
        return {key: as_float(value[key]) for key in sorted(value)}
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**53 else value
    return value


if __name__ == "__main__":
    unittest.main()
