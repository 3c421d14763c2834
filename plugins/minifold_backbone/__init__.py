"""N, Cα, C and O: the head that places them on predicted frames, and the losses that judge them."""
