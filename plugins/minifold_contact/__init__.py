"""The contact encoder of stage 1."""
