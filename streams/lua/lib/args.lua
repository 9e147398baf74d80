-- args: a cursor over ARGV; keys are named in it by their index in KEYS, 0 for none.
-- Globals are looked up by name at every use, locals are not.
local redis, KEYS, ARGV, tonumber, unpack = redis, KEYS, ARGV, tonumber, unpack
local GROUP = 'millrace'
local LIFECYCLE, TIMERS, WAITING, DLQ = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local PREFIX_LENGTH = #LIFECYCLE - #'lifecycle'
local OK, DROPPED, DUPLICATE, KILL = 0, 1, 2, 3
local NOT_PENDING, SUPERSEDED, UNKNOWN_JOB, UNKNOWN_TASK, CONFLICT = -2, -3, -4, -5, -6
local CLOSED, NOT_FOUND, IS_WIDE, QUARANTINED, FULL = -7, -8, -9, -10, -11
local cursor = 0
local function arg()
  cursor = cursor + 1
  return ARGV[cursor]
end
-- The next `count` arguments at once.
local function args(count)
  local first = cursor + 1
  cursor = cursor + count
  return unpack(ARGV, first, cursor)
end
local function num_arg()
  cursor = cursor + 1
  return tonumber(ARGV[cursor])
end
local function key_arg()
  cursor = cursor + 1
  return KEYS[tonumber(ARGV[cursor])]
end
