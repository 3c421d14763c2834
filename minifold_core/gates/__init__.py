"""Checks that come before any large training: each presumes the ones before it.

A version that stops at a gate has nothing to gain from more data or more time until that is mended.
"""
