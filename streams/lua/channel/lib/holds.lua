-- holds: whether a consumer has an entry under the lease that it names: (consumer, delivery count).
local function holds(stream, group, consumer, id, delivery)
  local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
  return pending and pending[2] == consumer and pending[4] == delivery
end
-- The arguments that claim without counting a delivery.
local function justid(ids)
  ids[#ids + 1] = 'JUSTID'
  return ids
end
-- A flat list of names and values as a JSON object; what is not UTF-8 is kept byte for byte in an escape.
local function as_json(flat)
  local object = {}
  for at = 1, #flat, 2 do object[flat[at]] = flat[at + 1] end
  return cjson.encode(object)
end
