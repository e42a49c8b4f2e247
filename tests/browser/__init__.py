"""Tests that drive Chromium, and the screenshots."""
