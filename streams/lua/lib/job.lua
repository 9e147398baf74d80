-- job: a job's live record, read once, changed in memory, written once.
local OPTIONS = {'until_stage', 'limit_ms'}
-- The record's fields, with their names as they stand; in one constructor, so that the table need not grow.
local function load_job(key, id, more)
  local values = redis.pcall('HMGET', key, 'status', 'revision', 'next', 'work', 'tail', 'flow', 'tenant', 'options',
    unpack(more))
  if values.err or not values[1] then return nil end
  local fields = {status = values[1], revision = values[2], next = values[3], work = values[4], tail = values[5],
    flow = values[6], tenant = values[7], options = values[8], until_stage = false, limit_ms = false}
  for i = 1, #more do fields[more[i]] = values[8 + i] end
  -- Few jobs have options; the field says whether it is worth looking.
  if fields.options then fields.until_stage, fields.limit_ms = unpack(redis.call('HMGET', key, unpack(OPTIONS))) end
  return {key = key, id = id, f = fields, dirty = {}}
end
-- A field's value, false when the record has none; what was not loaded is fetched.
local function field(job, name)
  local value = job.f[name]
  if value == nil then
    value = redis.call('HGET', job.key, name)
    job.f[name] = value
  end
  return value
end
local function load_more(job, names)
  local values = redis.call('HMGET', job.key, unpack(names))
  for i = 1, #names do
    if job.f[names[i]] == nil then job.f[names[i]] = values[i] end
  end
end
local function number(job, name)
  return tonumber(field(job, name) or 0)
end
local function set(job, name, value)
  job.f[name] = value
  job.dirty[name] = true
end
local function bump(job, name, by)
  local value = number(job, name) + by
  set(job, name, value)
  return value
end
local function unset(job, name)
  set(job, name, false)
end
-- Most numbers here are small, and writing one out costs as much as a field.
local DIGITS = {[0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'}
-- One HDEL and one HSET for all that changed; the lists are written over and over, as in `happened`.
local changed, gone = {}, {}
local function save(job)
  local fields, n, m = job.f, 0, 0
  for name in pairs(job.dirty) do
    local value = fields[name]
    if value then
      changed[n + 1], changed[n + 2] = name, DIGITS[value] or value
      n = n + 2
    else
      m = m + 1
      gone[m] = name
    end
  end
  if m > 0 then redis.call('HDEL', job.key, unpack(gone, 1, m)) end
  if n > 0 then redis.call('HSET', job.key, unpack(changed, 1, n)) end
end
local function is_closed(job)
  local status = job.f.status
  return status == 'cancelled' or status == 'expired' or status == 'failed'
end
local function is_ended(job)
  return is_closed(job) or job.f.status == 'succeeded' or job.f.status == 'partial'
end
local function move_to(job, status)
  set(job, 'status', status)
  job.moved_to = status
end
-- A job begins with its first task; a worker may close that without having announced its start.
local function begin(job, started_at)
  if job.f.status ~= 'queued' then return false end
  move_to(job, 'running')
  set(job, 'started_at', started_at)
  return true
end
