"""What happens in Redis at once, in Lua: nothing comes between its steps.

All keys of a call are of one topic. ARGV[1] is always the name of the server's run: a history
that another run has written is not gone on with, since a server that was restarted, or has taken
over from another, may lack the last of it, and would give the same offsets again. ARGV[2] is the
command that publishes.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final

__all__ = ["ENTER", "KEEP", "LEAVE", "READ", "SYNC", "Script"]


class Script:
    """A script that is loaded on each connection, and called by its digest."""

    all: ClassVar[list[Script]] = []

    def __init__(self, text: str) -> None:
        self.load = ("SCRIPT", "LOAD", text)
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.all.append(self)


# An id of the stream is <offset>-<milliseconds>. The head of a history is made by who asks first.
_HISTORY: Final = """
local server = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call('HMGET', KEYS[1], 'server', 'epoch', 'offset', 'mark', 'marked')
if head[1] ~= server then
    redis.call('DEL', KEYS[1], KEYS[2])
    head = {server, string.format('%.0f', time[1] * 1000000 + time[2]), 0, 0, 0}
    redis.call('HSET', KEYS[1], 'server', server, 'epoch', head[2],
        'offset', 0, 'mark', 0, 'marked', 0)
end
local epoch = head[2]
local offset = tonumber(head[3])
local function number(value) return string.format('%.0f', value) end
local function keep(age) redis.call('PEXPIRE', KEYS[1], age + 86400000) end
"""

# KEYS: head, stream, key of idempotency or none. Then: channel, size, age, age of the key, and
# publications, each behind its length. Returns the position of the first. More is kept than must
# be, for that is cheaper, and READ looks: MAXLEN ~ drops some at a time; once in an age what was
# there an age ago is dropped, and the keys are told to stay until the next time.
KEEP: Final = Script(
    """
if KEYS[3] then
    local earlier = redis.call('GET', KEYS[3])
    if earlier then return earlier end
end
local position = ''
if ARGV[4] ~= '0' then
"""
    + _HISTORY
    + """
    local age = tonumber(ARGV[5])
    position = epoch .. ':' .. number(offset + 1)
    local data, begin, text = ARGV[7], 1, nil
    while begin <= #data do
        local size, first = struct.unpack('>I4', data, begin)
        begin = first + size
        offset = offset + 1
        text = number(offset)
        redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], text .. '-' .. number(now),
            'd', string.sub(data, first, begin - 1))
    end
    redis.call('HSET', KEYS[1], 'offset', text)
    if now >= head[5] + age then
        redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', number(offset - head[4]))
        redis.call('HSET', KEYS[1], 'mark', text, 'marked', number(now))
        redis.call('PEXPIRE', KEYS[2], 2 * age)
        keep(2 * age)
    end
end
if KEYS[3] then redis.call('SET', KEYS[3], position, 'PX', ARGV[6]) end
redis.call(ARGV[2], ARGV[3], position .. '\\n' .. ARGV[7])
return position
"""
)

# KEYS: head, stream. Then: epoch, offset, size, age. Returns the position, and all that follows
# the one that is asked for until there are 256 KiB of it; the position alone if not all is kept.
READ: Final = Script(
    _HISTORY
    + """
local age = tonumber(ARGV[6])
keep(age)
local position = epoch .. ':' .. number(offset)
local since = tonumber(ARGV[4])
local missed = offset - since
if ARGV[3] ~= epoch or missed < 0 or missed > tonumber(ARGV[5]) then return {position} end
local found = {}
local size = 0
while since < offset and size < 262144 do
    since = since + 1
    local id = number(since)
    local entry = redis.call('XRANGE', KEYS[2], id, id, 'COUNT', 1)[1]
    if not entry or tonumber(string.match(entry[1], '-(%d+)')) <= now - age then
        return {position}
    end
    local data = entry[2][2]
    size = size + #data
    found[#found + 1] = data
end
return {position, found}
"""
)

# Publishes who joins or leaves: what comes before the key, the key (the member), and the name.
_TELL: Final = """
local function tell(channel, before, member, name)
    local data = before .. string.char(#member) .. member .. name
    redis.call(ARGV[2], channel, '\\n' .. struct.pack('>I4', #data) .. data)
end
"""

# KEYS: members. Then: process, member, name, channel, what is published before the member.
ENTER: Final = Script(
    _TELL
    + """
if redis.call('HSET', KEYS[1], ARGV[3] .. ARGV[4], ARGV[5]) == 1 then
    tell(ARGV[6], ARGV[7], ARGV[4], ARGV[5])
end
"""
)

# KEYS: members. Then: process, member, channel, what is published before the member.
LEAVE: Final = Script(
    _TELL
    + """
local name = redis.call('HGET', KEYS[1], ARGV[3] .. ARGV[4])
if name then
    redis.call('HDEL', KEYS[1], ARGV[3] .. ARGV[4])
    tell(ARGV[5], ARGV[6], ARGV[4], name)
end
"""
)

# Makes the members of a process what they should be, and publishes who joins and who leaves.
# KEYS: members. Then: process, channel, what is published before who joins (empty for nothing), and
# before who leaves; then all members and their names.
SYNC: Final = Script(
    _TELL
    + """
local process = ARGV[3]
local there = {}
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
    if string.sub(entries[i], 1, #process) == process then there[entries[i]] = entries[i + 1] end
end
for i = 7, #ARGV, 2 do
    local field = process .. ARGV[i]
    local is_new = not there[field]
    there[field] = nil
    redis.call('HSET', KEYS[1], field, ARGV[i + 1])
    if is_new and ARGV[5] ~= '' then tell(ARGV[4], ARGV[5], ARGV[i], ARGV[i + 1]) end
end
for field, name in pairs(there) do
    redis.call('HDEL', KEYS[1], field)
    tell(ARGV[4], ARGV[6], string.sub(field, #process + 1), name)
end
"""
)
