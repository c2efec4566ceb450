"""Arrays that are used again."""

import threading

from emlib.models.scratch import scratch


def test_an_array_is_used_again_for_one_name_shape_and_thread():
    first = scratch("a", (3, 2))
    assert scratch("a", (3, 2)) is first
    assert scratch("b", (3, 2)) is not first
    assert scratch("a", (4, 2)).shape == (4, 2)
    found = []
    thread = threading.Thread(target=lambda: found.append(scratch("b", (3, 2))))
    thread.start()
    thread.join()
    assert found[0] is not scratch("b", (3, 2))
