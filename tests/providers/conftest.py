"""Fixtures of the provider tests."""

from tests.fakes.fixtures import fake_provider

__all__ = ["fake_provider"]
