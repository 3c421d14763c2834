"""Recipes trained under one budget and judged on one bench."""
