"""The thefts, and the truth about them.

``sample`` the thefts of the sample, ``kinds`` the assortment to measure detection on, by family:
``floods``, ``folds``, ``disguises``, ``crowds``, ``lasting``, ``strangers``. ``scene`` is what they
are staged with, ``shapes`` how much and how long, ``pages`` how a script reads, ``campaign``
what a theft is and what is true of it.
"""
