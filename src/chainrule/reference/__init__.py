"""The textbook in plain NumPy: file for file and name for name the twin of ``chainrule.kernels``.

Every function writes its result into the array it is given for it, as its twin does.
"""
