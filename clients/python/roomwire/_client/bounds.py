"""How long the client waits and how much it holds: every time and queue has a bound. Times are in ms."""

# From connecting to WELCOME.
WELCOME_MS = 15_000
# For a token of the application's, and for a page of a list.
ANSWER_MS = 15_000
# However busy a connection is, the store's time is asked for after so many times pingEvery.
PINGS_UNTOLD = 4
# A shorter grace counts as one of this length: what is held needs time to ask whether it still is.
MIN_GRACE_MS = 1_000
# A connection that lived this long was a good one: the next attempt counts as the first.
HELD_MS = 5_000
# Refusals of one fresh token after another before giving up.
MAX_REFUSALS = 5
# For the other side to answer a close.
CLOSE_SECONDS = 1

# A token is renewed this long before its end, or at nine tenths of a short life.
RENEWAL_MARGIN_MS = 30_000
RENEWAL_RETRY_MS = 5_000
MIN_RENEWAL_MS = 1_000
# What call_later takes without trouble; a longer time is waited for in parts.
MAX_TIMER_MS = 0x7FFF_FFFF

# Requests that may wait at once, sent or not.
MAX_PENDING = 16_384
MAX_REQUEST_ID = 0x7FFF_FFFF
# Of a rate, as much may leave at once as in this time; the server allows twice that.
BURST_MS = 1_000
# While a socket has more bytes to send, volatile values wait, and newer ones take their place.
UPLINK_BYTES = 65_536
UPLINK_POLL_MS = 20
# Of HELLO, until a server says otherwise (RW-HEL-1).
HELLO_BYTES = 16_384
# Of POSITION, which may have as many bytes as HELLO, without its map.
POSITION_BYTES = 16
# Frames are gathered into messages of about this size.
MESSAGE_BYTES = 65_536

# Events to hold back while a state is read; past it the state is read again.
MAX_HELD_EVENTS = 10_000
# States behind the stream, in a row, before a first join fails.
MAX_STALE_STATES = 5
# Events that wait for slow handlers; past it they are dropped, and that is told.
MAX_UNHANDLED = 65_536

# One fetch for all the rooms that come into view in this time.
RELOAD_MS = 500
# Deleted rooms to remember; past it the oldest is forgotten.
MAX_DELETED_ROOMS = 1_000
ROOMS_PER_PAGE = 500

DEFAULT_LEASE_MS = 30_000
# A lock is not renewed more often than this.
MIN_REFRESH_MS = 50
