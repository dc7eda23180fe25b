# SPDX-License-Identifier: MIT
"""Fixtures and rules for all end-to-end tests."""

import signal

import pytest

import harness
import nodes

DEFAULT_LIMIT = 120  # seconds a test may take


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "slow: not in the quick run of `make test`")
    config.addinivalue_line(
        "markers", "limit(seconds): how long the test may take")
    config.addinivalue_line(
        "markers", "ours: does not apply to the stock daemons")


def pytest_collection_modifyitems(items):
    if not harness.STOCK:
        return
    skip = pytest.mark.skip(reason="the stock daemons differ here")
    for item in items:
        if item.get_closest_marker("ours"):
            item.add_marker(skip)


def clusters_of(item):
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, harness.Cluster):
            yield value
        elif isinstance(value, Maker):
            yield from value.clusters


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        for made in clusters_of(item):
            made.failed = True


@pytest.fixture(autouse=True)
def bounded(request):
    """Ends a test that hangs, and looks at the daemons after each one."""
    mark = request.node.get_closest_marker("limit")
    seconds = mark.args[0] if mark else DEFAULT_LIMIT

    def late(*_):
        raise TimeoutError(f"the test took more than {seconds} s")
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)
    for made in clusters_of(request.node):
        made.sound()


@pytest.fixture(scope="module")
def cluster(request):
    """One tracker and one storage for all tests of a file."""
    wanted = getattr(request.module, "CLUSTER", {})
    name = request.module.__name__.replace("test_", "")
    with harness.Cluster(name, **wanted) as made:
        yield made


class Maker:
    """Makes clusters that belong to one test: fresh(paths=2, ...)."""

    def __init__(self, name, kind):
        self.name = name
        self.kind = kind
        self.clusters = []

    def __call__(self, start=True, **wanted):
        made = self.kind(self.name, **wanted)
        self.clusters.append(made)
        return made.start() if start else made


def makers(request, kind):
    name = request.node.name.split("[")[0].replace("test_", "")[:40]
    maker = Maker(name, kind)
    yield maker
    for made in maker.clusters:
        made.close()


@pytest.fixture
def fresh(request):
    yield from makers(request, harness.Cluster)


@pytest.fixture
def several(request):
    """Makes clusters of several trackers and storages: see nodes.py."""
    yield from makers(request, nodes.Nodes)


@pytest.fixture
def storage(cluster):
    """A connection to the first storage of the file's cluster."""
    with cluster.storage.connect() as conn:
        yield conn


@pytest.fixture
def tracker(cluster):
    """A connection to the tracker of the file's cluster."""
    with cluster.tracker.connect() as conn:
        yield conn
