"""Reach a Dask cluster, or start one on this machine; `remote` is what is done there."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseam.errors import InputError, MissingExtraError
from unseam.processor import threads_wanted

if TYPE_CHECKING:  # Dask is an extra
    from unseam.streaming.remote import Cluster, Say
    from unseam.streaming.worker import Surroundings

CONNECT, START, WORKERS = 10.0, 120.0, 30.0
"""Seconds for a scheduler to answer, for processes here to start, for a first worker to be there."""


@contextmanager
def connected(address: str, *, say: Say) -> Iterator[Cluster]:
    """An executor on a cluster, which is left, and stopped if it was started here, in the end.

    Parameters
    ----------
    address : str
        "local:N" starts N processes on this machine, which share its cores; "tcp://HOST:PORT", "tls://HOST:PORT"
        or the file that a scheduler has written (`--scheduler-file`) name a cluster that is there.
    say : callable
        Takes a line.

    Raises
    ------
    InputError
        If the address is none of these, no scheduler answers there, it has no workers, or they have other
        versions.
    MissingExtraError
        If Dask is not installed.

    Examples
    --------
    >>> with connected("local:4", say=print) as executor:  # doctest: +SKIP
    ...     stream(model, model.path, image, wanted, executor=executor)
    """
    count = _local_count(address)
    try:
        import distributed
        from distributed.utils import silence_logging_cmgr
        from distributed.versions import VersionMismatchWarning
    except ImportError as error:
        raise MissingExtraError(
            "--cluster needs the package distributed; install it with: pip install 'unseam[cluster]'"
        ) from error
    with ExitStack() as stack:
        stack.enter_context(silence_logging_cmgr("CRITICAL"))
        if count is None:
            uri = _scheduler_address(address)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VersionMismatchWarning)  # told below, as an error
                client = stack.enter_context(_remote_client(distributed, uri, say))
        else:
            client = stack.enter_context(_local_client(distributed, count))
        cluster = _cluster(client, count, say)
        stack.callback(cluster.release)
        yield cluster


def _local_count(address: str) -> int | None:
    """N of "local:N", or None for the address of a scheduler.

    Raises
    ------
    InputError
        If it is neither.
    """
    match = re.fullmatch(r"local:(\d+)", address)
    if match and int(match[1]) >= 1:
        return int(match[1])
    if match or not (re.match(r"(tcp|tls)://[^:]+:\d+$", address) or Path(address).is_file()):
        raise InputError(
            f"cluster is {address!r}; give local:N with N of 1 or more, tcp://HOST:PORT, tls://HOST:PORT, "
            "or a scheduler file that exists"
        )
    return None


def _scheduler_address(address: str) -> str:
    """The address itself, or what a scheduler file says."""
    if "://" in address:
        return address
    try:
        return str(json.loads(Path(address).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{address} is not a scheduler file; it is written by: dask scheduler --scheduler-file NAME"
        ) from error


@contextmanager
def _local_client(distributed: Any, count: int) -> Iterator[Any]:
    """Processes of this command; their memory is planned by us, and not watched by Dask."""
    import dask

    # a worker is given what it can do at once, so that of blocks lost with it the guilty one is known
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0}),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(count, timeout=START)
        yield client


@contextmanager
def _remote_client(distributed: Any, address: str, say: Say) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} within {CONNECT:.0f} s; start one with: dask scheduler"
        ) from error
    with client:
        if not client.nthreads():
            say(f"waiting for workers at {address}")
        try:
            client.wait_for_workers(1, timeout=WORKERS)
        except TimeoutError as error:
            raise InputError(
                f"the scheduler at {address} has no workers after {WORKERS:.0f} s; start some with: "
                f"dask worker {address} --nthreads 1"
            ) from error
        yield client


def _cluster(client: Any, count: int | None, say: Say) -> Cluster:
    """The executor, when all that is there has been looked at."""
    from unseam.streaming.remote import Cluster
    from unseam.streaming.worker import refuse_other_versions, surroundings

    here, at_once = surroundings(), client.nthreads()
    around: dict[str, Surroundings] = {}
    try:
        around |= {f"worker {name}": found for name, found in client.run(surroundings).items()}
        if count is None:
            around["the scheduler"] = client.run_on_scheduler(surroundings)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"the cluster at {client.scheduler.address} cannot import unseam ({error}); start its scheduler "
            f"and workers where unseam {here.versions['unseam']} is installed"
        ) from error
    for name, found in around.items():
        refuse_other_versions(here.versions, found.versions, name)
    around.pop("the scheduler", None)
    if count is None:
        sharing = Counter(found.place for found in around.values())
        blocks = max(at_once.values())
        threads = {f.place: max(1, f.cores // sharing[f.place] // blocks) for f in around.values()}
    else:
        threads = {here.place: max(1, min(threads_wanted() or here.cores, here.cores) // count)}
    say(_in_words(len(at_once), threads, count is not None))
    return Cluster(client, say, max(at_once.values()), threads, here.versions, count is not None)


def _in_words(workers: int, threads: Mapping[str, int], is_local: bool) -> str:
    low, high = min(threads.values()), max(threads.values())
    each = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"cluster: {workers} worker{'s' * (workers > 1)}"
        f"{' on this machine' if is_local else ''}, {each} thread{'s' * (high > 1)} each"
    )
