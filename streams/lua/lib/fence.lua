-- fence: a lease is (consumer, delivery count); nil when this caller still holds it, else the refusal.
local function refused(stream, id, consumer, delivery)
  local pending = redis.pcall('XPENDING', stream, GROUP, id, id, 1)
  local row = pending[1]
  if pending.err or not row then return NOT_PENDING end
  if row[2] ~= consumer or row[4] ~= delivery then return SUPERSEDED end
  return nil
end
-- Whether anyone was given this entry; nobody was when the stream has no group yet.
local function is_pending(stream, id)
  local pending = redis.pcall('XPENDING', stream, GROUP, id, id, 1)
  return not pending.err and #pending > 0
end
local function take_out(stream, ...)
  redis.call('XACK', stream, GROUP, ...)
  redis.call('XDEL', stream, ...)
end
local function entry_fields(stream, id)
  local rows = redis.call('XRANGE', stream, id, id)
  local fields = {}
  if rows[1] then
    local flat = rows[1][2]
    for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  end
  return fields
end
