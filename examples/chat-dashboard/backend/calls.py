"""What roomwire asks: who may connect, and what each call of its config answers. Who has the answer to a join is in."""
import logging
import queue
import re
import threading

import chats
import roomwire

logger = logging.getLogger("chats")
VALID_ROOMS = [room for room, _ in chats.DASHBOARDS.values()]
CHAT_ID = re.compile(r"\w{1,64}", re.ASCII)


class Refused(Exception):
    def __init__(self, name, message):
        super().__init__(message)
        self.name = name


def connect(ask):
    """Agents have their role in the token, customers the room of their chat."""
    allow = is_agent(ask["user"]) or len(ask["user"].get("rooms", [])) > 0
    return {"allow": allow, **({} if allow else {"reason": "neither an agent nor the customer of a chat"})}


def call(ask):
    try:
        if not isinstance(ask["input"], dict):
            raise Refused("invalid_data", "send an object")
        return CALLS[ask["call"]](ask, ask["input"])
    except (Refused, roomwire.RoomwireError) as refusal:
        return {"error": {"name": refusal.name, "message": str(refusal)}}


# ---- joining ------------------------------------------------------------------------------------------


def join_room(ask, given):
    room = given.get("room", "")
    if not isinstance(room, str):
        raise Refused("invalid_data", "room: text")
    if room not in VALID_ROOMS:
        response = {"status": 0, "message": f"Invalid room: {room}"}
    elif not is_agent(ask["user"]):
        response = {"status": 0, "message": f"Not allowed: {room}"}
    else:
        response = {"status": 1, "room": room}
    logger.info("join_room of %s: %s", ask["user"]["id"], response)
    tell(ask["sid"], "join_room_response", response)
    return {"subscribe": [room] if response["status"] == 1 else [], "result": response}


def join_chat(ask, given):
    return enter(ask, chat_id_in(given), is_agent(ask["user"]))


def join_chat_customer(ask, given):
    chat_id = chat_id_in(given)
    return enter(ask, chat_id, chats.room_of(chat_id) in ask["user"].get("rooms", []))


def enter(ask, chat_id, allowed):
    """In the chat first, then its messages: one that comes in between is in both, and none in neither."""
    room = chats.room_of(chat_id)
    if not allowed or chats.find(chat_id) is None:
        return {"result": {"status": 0, "message": f"Invalid chat: {chat_id}"}}
    roomwire.subscribe(ask["sid"], room)
    return {"subscribe": [room], "result": {"status": 1, "room": room, "messages": chats.history(chat_id)}}


def leave_chat(ask, given):
    room = chats.room_of(entered(ask, given)["chat_id"])
    return {"unsubscribe": [room], "result": {"room": room}}


# ---- in a chat ----------------------------------------------------------------------------------------


def send_message(ask, given):
    user, text = ask["user"], text_in(given)
    # Asked once more under the client's key, or the request's id: the answer was lost on its way, with its events.
    message_id = f"{user['id']}:{ask.get('key') or ask['id']}"
    known = chats.message(message_id)
    if known is not None:
        return {"publish": chats.told(known), "result": known}
    chat = entered(ask, given)
    said = {"message_id": message_id, "from": "agent" if is_agent(user) else "customer", "name": user["name"], "text": text}
    with chats.change() as events:
        message = chats.add_message(events, chats.find(chat["chat_id"]), said)
    return {"publish": events, "result": message}


def mark_read(ask, given):
    chat = agent_in(ask, given)
    if chat["unread"] == 0:
        return {"result": chat}
    with chats.change() as events:
        chat = chats.save(events, {**chats.find(chat["chat_id"]), "unread": 0})
    return {"publish": events, "result": chat}


def update_tags(ask, given):
    tags = given.get("tags")
    if not isinstance(tags, list) or len(tags) > 10 or not all(isinstance(tag, str) and 0 < len(tag) <= 40 for tag in tags):
        raise Refused("invalid_data", "tags: up to 10 texts of up to 40 characters")
    chat_id = agent_in(ask, given)["chat_id"]
    with chats.change() as events:
        events.append({"topic": chats.room_of(chat_id), "event": "tag_updated", "data": {"chat_id": chat_id, "tags": tags}})
        chat = chats.save(events, {**chats.find(chat_id), "tags": tags})
    return {"publish": events, "result": chat}


def entered(ask, given):
    """The chat, for a session that has joined it: roomwire knows which topics that is in."""
    chat_id = chat_id_in(given)
    chat, room = chats.find(chat_id), chats.room_of(chat_id)
    if chat is None or room not in roomwire.request("GET", f"/api/sessions/{ask['sid']}")["topics"]:
        raise Refused("not_member", f"You are not in {room}: join_chat first")
    return chat


def agent_in(ask, given):
    if not is_agent(ask["user"]):
        raise Refused("forbidden", "This is for agents")
    return entered(ask, given)


# ---- what a client may send, of which roomwire passes on anything -------------------------------------


def is_agent(user):
    return "agent" in user.get("roles", [])


def chat_id_in(given):
    chat_id = given.get("chat_id")
    if not isinstance(chat_id, str) or not CHAT_ID.fullmatch(chat_id):
        raise Refused("invalid_data", "chat_id: chat_id has letters, digits and _")
    return chat_id


def text_in(given):
    text = given.get("text")
    text = text.strip() if isinstance(text, str) else ""
    if not 0 < len(text) <= 4000:
        raise Refused("invalid_data", "text: text is missing" if text == "" else "text: up to 4000 characters")
    return text


# ---- telling one client ---------------------------------------------------------------------------------

#: Several, so that a client that does not answer holds up few others.
_outgoing = [queue.SimpleQueue() for _ in range(8)]


def tell(sid, name, data):
    """Calls a client by a name that it may listen for. Nobody waits for its answer; what one client is told is in order."""
    _outgoing[hash(sid) % len(_outgoing)].put((sid, name, data))


def _tell_all(outgoing):
    while True:
        sid, name, data = outgoing.get()
        try:
            roomwire.call(sid, name, data, timeout=2)
        except roomwire.RoomwireError as error:  # away, or it does not listen for this name
            logger.debug("%s was not told %s: %s", sid, name, error)


for each in _outgoing:
    threading.Thread(target=_tell_all, args=(each,), daemon=True).start()

CALLS = {
    "join_room": join_room,
    "join_chat": join_chat,
    "join_chat_customer": join_chat_customer,
    "leave_chat": leave_chat,
    "send_message": send_message,
    "mark_read": mark_read,
    "update_tags": update_tags,
}
HOOKS = {"connect": connect, "call": call}
