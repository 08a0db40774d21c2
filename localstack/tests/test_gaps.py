"""The fixes work, and each is needed: python -m unittest discover -s localstack -t localstack."""

import unittest

from . import gaps
from .emulator import Emulator


class Fixed(gaps.Gaps):
    """With the fixes."""

    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()


class FixedRace(gaps.Race):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()


class Unfixed(unittest.TestCase):
    def test_every_gap_is_there_in_ministack_as_it_is(self):
        names = unittest.TestLoader().getTestCaseNames(gaps.Gaps)
        emulator = Emulator(fixed=False)
        try:
            for name in names:
                case = gaps.Gaps(name)
                case.emulator = emulator
                result = unittest.TestResult()
                case.run(result)
                with self.subTest(name):
                    self.assertFalse(result.wasSuccessful(), "passes without its fix: the fix can go")
        finally:
            emulator.stop()


def load_tests(loader, _tests, _pattern):
    """The classes of this module alone: those of `gaps` have no emulator."""
    cases = (Fixed, FixedRace, Unfixed)
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)
