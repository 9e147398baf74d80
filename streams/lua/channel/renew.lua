#!lua flags=allow-oom
-- renew: keep the entries that a consumer still holds under the lease it names.
-- KEYS   1 stream
-- ARGV   group, consumer; per entry: entry id, delivery count
-- RETURN the ids that it holds no longer: acknowledged, or delivered to somebody else meanwhile
local group, consumer = ARGV[1], ARGV[2]
local kept, lost = {}, {}
for at = 3, #ARGV, 2 do
  local id, delivery = ARGV[at], tonumber(ARGV[at + 1])
  if holds(KEYS[1], group, consumer, id, delivery) then kept[#kept + 1] = id else lost[#lost + 1] = id end
end
-- No delivery is counted by that.
if kept[1] then redis.call('XCLAIM', KEYS[1], group, consumer, 0, unpack(justid(kept))) end
return lost
