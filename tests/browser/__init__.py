"""The page in a real browser: the system's Chromium, driven by Playwright.

``conftest.py`` has the fixtures, ``windows.py`` what a test does with an open page, ``models.py`` the models.
"""
