# The functions are those of chainrule.ops, with the same arguments.
from chainrule.ops import *
