#!lua flags=allow-oom
-- trim: remove lifecycle entries older than the cutoff that every required group has finished with.
-- KEYS   1 lifecycle
-- ARGV   cutoff entry id, most entries to remove in this call, required group count, group names
-- RETURN {entries removed, low-water mark: the oldest entry id that some required group still needs}
local cutoff, limit = arg(), num_arg()
local required = {}
for i = 1, num_arg() do required[arg()] = true end

local function is_before(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms < b_ms or (a_ms == b_ms and tonumber(a_seq) < tonumber(b_seq))
end

if redis.call('EXISTS', LIFECYCLE) == 0 then return {0, '0-0'} end
local low_water, found = cutoff, {}
for _, group in ipairs(redis.call('XINFO', 'GROUPS', LIFECYCLE)) do
  local info = {}
  for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
  if required[info.name] then
    found[info.name] = true
    local needed = redis.call('XPENDING', LIFECYCLE, info.name)[2] or info['last-delivered-id']
    if is_before(needed, low_water) then low_water = needed end
  end
end
for name in pairs(required) do
  if not found[name] then return {0, '0-0'} end
end
return {redis.call('XTRIM', LIFECYCLE, 'MINID', '~', low_water, 'LIMIT', limit), low_water}
