"""How long a shape takes, in seconds: (--quick, full), measured on two cores of 2.6 GHz."""
SECONDS = {
    "dense-unix": (14, 170), "dense-tcp": (13, 200), "fan3-unix": (7, 230), "fan3-tcp": (8, 280),
    "fan8-unix": (20, 380), "fan8-tcp": (20, 420), "nbd-file": (7, 220), "file-nbd": (10, 220),
    "loop-nbd": (10, 220), "nbd-loop": (10, 230), "loop-loop": (7, 240), "file-file": (20, 220),
    "sparse": (7, 260), "empty": (7, 60), "startup": (3, 15), "latency": (12, 480), "latency-tcp": (60, 700),
    "uneven": (10, 320), "small-nbd-4k": (7, 150), "small-nbd-64k": (8, 100), "small-loop-4k": (3, 60),
    "small-loop-64k": (8, 100), "many": (9, 160), "queued": (1, 5), "connections": (6, 80), "memory": (7, 75),
}
DEFAULT_S = 60


def total_s(shapes, mode, rounds, usual_rounds):
    """More or fewer rounds than usual take about so much more or less."""
    seconds = sum(SECONDS.get(shape.name, (DEFAULT_S, DEFAULT_S))[0 if mode == "quick" else 1] for shape in shapes)
    return seconds * (rounds / usual_rounds if rounds else 1)
