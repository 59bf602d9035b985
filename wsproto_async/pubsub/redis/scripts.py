"""What happens in Redis at once, in Lua: nothing comes between its steps.

All keys of a call are of one topic. ARGV[1] is always the name of the server's run: a history
that another run has written is not gone on with, since a server that was restarted, or has taken
over from another, may lack the last of it, and would give the same offsets again. So may one that
was a replica for a time, in the same run: it has another replication id then. That is looked at
every 200 ms at most, as it costs half as much as a publication, and when the clock went back.
ARGV[2] is the command that publishes.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final

__all__ = ["ENTER", "KEEP", "LEAVE", "READ", "SYNC", "Script"]


class Script:
    """A script that is loaded on each connection, and called by its digest.

    If it ``is_ordered``, a call of it has to come before others that were made later.
    """

    all: ClassVar[list[Script]] = []

    def __init__(self, text: str, *, is_ordered: bool = True) -> None:
        self.load = ("SCRIPT", "LOAD", text)
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.is_ordered = is_ordered
        self.all.append(self)


# The head of a history is made by who asks first. What is kept is a sorted set: what was published
# at once is one member, "<offset of the first> <milliseconds> <publications>", at the offset of the
# last.
_HISTORY: Final = """
local server = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(value) return string.format('%.0f', value) end
local head = redis.call('HMGET', KEYS[1], 'server', 'epoch', 'offset', 'mark', 'marked',
    'replid', 'looked')
if head[1] ~= server or now >= head[7] + 200 or now < tonumber(head[7]) then
    local info = redis.call('INFO', 'replication')
    local replid = string.match(info, 'master_replid:(%w+)') or ''
    if head[1] ~= server or head[6] ~= replid then
        redis.call('DEL', KEYS[1], KEYS[2])
        head = {server, number(time[1] * 1000000 + time[2]), 0, 0, 0}
        redis.call('HSET', KEYS[1], 'server', server, 'epoch', head[2],
            'offset', 0, 'mark', 0, 'marked', 0, 'replid', replid, 'looked', number(now))
    else
        redis.pcall('HSET', KEYS[1], 'looked', number(now)) -- what reads needs no memory
    end
end
local epoch = head[2]
local offset = tonumber(head[3])
local function keep(age) redis.call('PEXPIRE', KEYS[1], age + 86400000) end
"""

# KEYS: head, kept, key of idempotency or none. Then: channel, size, age, age of the key, and
# publications, each behind its length. Returns the position of the first. More is kept than must
# be, for that is cheaper, and READ looks: what is too much goes from time to time, and once in an
# age what was there an age ago, when the keys are told to stay until the next time. Who may not
# publish on the channel keeps nothing: it can be tried again.
KEEP: Final = Script(
    """
if KEYS[3] then
    local earlier = redis.call('GET', KEYS[3])
    if earlier then return earlier end
end
local data = ARGV[7]
local position, earlier, last = ''
if ARGV[4] ~= '0' then
"""
    + _HISTORY
    + """
    local size, age = tonumber(ARGV[4]), tonumber(ARGV[5])
    local before, length, at = offset, 0, 1
    while at <= #data do
        length, at = struct.unpack('>I4', data, at)
        at = at + length
        offset = offset + 1
    end
    local first = number(before + 1)
    earlier, last = number(before), number(offset)
    redis.call('ZADD', KEYS[2], last, first .. ' ' .. number(now) .. ' ' .. data)
    redis.call('HSET', KEYS[1], 'offset', last)
    local step = math.ceil(size / 8)
    if math.floor(before / step) < math.floor(offset / step) then
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', number(offset - size))
    end
    if now >= head[5] + age then
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', head[4])
        redis.call('HSET', KEYS[1], 'mark', earlier, 'marked', number(now))
        redis.call('PEXPIRE', KEYS[2], 2 * age)
        keep(2 * age)
    end
    position = epoch .. ':' .. first
end
if KEYS[3] then redis.call('SET', KEYS[3], position, 'PX', ARGV[6]) end
local told = redis.pcall(ARGV[2], ARGV[3], position .. '\\n' .. data)
if type(told) == 'table' then
    if KEYS[3] then redis.call('DEL', KEYS[3]) end
    if last then
        redis.call('ZREMRANGEBYSCORE', KEYS[2], last, last)
        redis.call('HSET', KEYS[1], 'offset', earlier)
    end
    return told
end
return position
"""
)

# KEYS: head, kept. Then: epoch, offset, size, age. Returns the position, and all that follows the
# one that is asked for until there are 256 KiB of it; the position alone if not all is kept.
READ: Final = Script(
    _HISTORY
    + """
local age = tonumber(ARGV[6])
keep(2 * age)
local position = epoch .. ':' .. number(offset)
local since = tonumber(ARGV[4])
local missed = offset - since
if ARGV[3] ~= epoch or missed < 0 or missed > tonumber(ARGV[5]) then return {position} end
local found = {}
local size = 0
while since < offset and size < 262144 do
    local data = redis.call('ZRANGEBYSCORE', KEYS[2], number(since + 1), '+inf', 'LIMIT', 0, 1)[1]
    if not data then return {position} end
    local first, milliseconds, at = string.match(data, '^(%d+) (%d+) ()')
    local number = tonumber(first)
    if number > since + 1 or tonumber(milliseconds) <= now - age then return {position} end
    local length
    while at <= #data do
        length, at = struct.unpack('>I4', data, at)
        if number > since then
            since = number
            size = size + length
            found[#found + 1] = string.sub(data, at, at + length - 1)
        end
        number = number + 1
        at = at + length
    end
end
return {position, found}
""",
    is_ordered=False,
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
