"""All that the rest of the backend knows of roomwire: broadcasting that reports instead of raising, and counts that are real."""
import dataclasses
import json
import logging
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

logger = logging.getLogger("websocket")
URL = os.environ.get("ROOMWIRE_URL", "http://127.0.0.1:8420")
KEY = os.environ.get("ROOMWIRE_API_KEY", "")
TIMEOUT = 2


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a broadcast; true when it was published. `matched`: how many connected clients it was for."""

    ok: bool
    matched: int = 0
    offset: int | None = None
    error: str | None = None

    def __bool__(self):
        return self.ok


def broadcast(messages):
    """Publishes [{topic, event, data, key}] in order and in one commit, and says what became of each. Never raises."""
    try:
        results = _request("POST", "/api/publish", {"messages": messages}, tries=2)["results"]
    except Exception as error:  # the caller's work is done already: it must not fail for this
        reports = [Report(False, error=str(error))] * len(messages)
    else:
        reports = [_report(result) for result in results]
    for message, report in zip(messages, reports):
        line = "%s to %s: matched %s" if report else "%s to %s was not sent: %s"
        logger.log(
            logging.INFO if report else logging.ERROR,
            line, message["event"], message["topic"], report.matched if report else report.error,
        )
    return reports


def broadcast_to_group(group_name, message_type, event_data, action=None, key=None):
    """With a key (such as a row's id and version) a repetition within five minutes is sent to nobody."""
    data = event_data if action is None else {"action": action, "data": event_data}
    return broadcast([message(group_name, message_type, data, key)])[0]


def send_to_user(user_id, message_type, event_data, key=None):
    """To all devices of one user; `matched` says how many there were: with 0 nobody has it, though it was published."""
    return broadcast([message(f"user:{user_id}", message_type, event_data, key)])[0]


def get_connection_count(user_id=None):
    """Open connections, of all or of one user; None when roomwire does not answer."""
    path = "/api/stats" if user_id is None else f"/api/users/{urllib.parse.quote(str(user_id), safe='')}"
    answer = _quietly("GET", path)
    return None if answer is None else answer["connections"]


def tell(sid, name, data):
    """Calls one client by a name that it may listen for. Nobody waits for its answer; what one client is told is in order."""
    _outgoing[hash(sid) % len(_outgoing)].put((sid, name, data))


def greet(user_id, name, data):
    """Tells a session of this user that is about to begin: the backend has just let it in."""
    threading.Thread(target=_greet, args=(user_id, name, data), daemon=True).start()


def get_channel_layer_safe():
    """How delivery stands, found out with a real event to a real client; None when roomwire does not answer."""
    return _quietly("GET", "/health/delivery", timeout=5)


def message(topic, event, data, key=None):
    return {"topic": topic, "event": event, "data": data, **({} if key is None else {"key": key})}


class Cache:
    """One value until it is invalidated. What was read before an invalidation is not kept after it."""

    def __init__(self, compute):
        self._compute, self._lock = compute, threading.Lock()
        self._value, self._generation = None, 0

    def get(self):
        with self._lock:
            if self._value is not None:
                return self._value
            generation = self._generation
        value = self._compute()
        with self._lock:
            if generation == self._generation:
                self._value = value
        return value

    def invalidate(self):
        with self._lock:
            self._generation += 1
            self._value = None


#: Several, so that a client that does not answer holds up few others.
_outgoing = [queue.SimpleQueue() for _ in range(8)]
#: The latest sessions that were greeted, in order.
_greeted = {}
_greeting = threading.Lock()
GREETING = 10


def _tell_all(outgoing):
    while True:
        sid, name, data = outgoing.get()
        try:
            _request("POST", f"/api/sessions/{sid}/call", {"name": name, "data": data})
        except Exception as error:  # away, or it does not listen for this name
            logger.debug("%s was not told %s: %s", sid, name, error)


def _greet(user_id, name, data):
    """roomwire names a session once it has begun, which is after the answer that lets it in."""
    until = time.monotonic() + GREETING
    while time.monotonic() < until:
        time.sleep(0.02)
        answer = _quietly("GET", f"/api/users/{urllib.parse.quote(user_id, safe='')}")
        with _greeting:
            new = [one["sid"] for one in (answer or {}).get("sessions", []) if one["sid"] not in _greeted]
            _greeted.update(dict.fromkeys(new))
            while len(_greeted) > 10_000:
                del _greeted[next(iter(_greeted))]
        for sid in new:
            tell(sid, name, data)
        if new:
            return


for each in _outgoing:
    threading.Thread(target=_tell_all, args=(each,), daemon=True).start()


def _report(result):
    if "error" in result:
        return Report(False, error=result["error"]["detail"])
    return Report(True, result["matched"], result["offset"])


def _quietly(method, path, timeout=TIMEOUT):
    try:
        return _request(method, path, timeout=timeout)
    except Exception as error:
        logger.error("roomwire, %s: %s", path, error)
        return None


def _request(method, path, body=None, timeout=TIMEOUT, tries=1):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    ask = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            problem = json.load(error)
        except ValueError:
            problem = {}
        raise RuntimeError(problem.get("detail") or problem.get("reason") or f"status {error.code}") from None
    except OSError:
        # A repetition is safe: what has a key is published once.
        if tries > 1:
            return _request(method, path, body, timeout, tries - 1)
        raise
