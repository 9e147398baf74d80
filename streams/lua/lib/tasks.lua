-- tasks: the register of a job's open tasks (field task.<n>) and the counters that follow it. A register says
--   <stream> <entry id>                                             in the stream, taken from nobody so far
--   <stream> <entry id> again                                       in the stream, after a reclaim or release
--   <stream> <entry id> run <since ms> <consumer> <delivery count>  running under this lease
--   delayed <due ms> <stage>                                        in the timers
--   dead <dlq entry id>                                             in the dead-letter stream
local IS_TAIL = {compile = true, notify = true}
local function place(stream, id)
  return string.sub(stream, PREFIX_LENGTH + 1) .. ' ' .. id
end
-- Is this entry the one that the register names for the task? `task.<n>` must have been loaded.
local function is_issued(job, task, stream, id)
  local registered = job.f['task.' .. task]
  if not registered then return false end
  local here = place(stream, id)
  return registered == here or string.sub(registered, 1, #here + 1) == here .. ' '
end
local function count_open(job, stage, by)
  bump(job, stage .. '.open', by)
  bump(job, IS_TAIL[stage] and 'tail' or 'work', by)
end
local function is_running(registered)
  return registered and string.find(registered, ' run ', 1, true)
end
-- The register's value for a task that runs: where it is, since when, and the lease it runs under.
local function run_place(stream, id, started_at, consumer, delivery)
  return place(stream, id) .. ' run ' .. started_at .. ' ' .. consumer .. ' ' .. delivery
end
-- Running time is counted only where a limit is set on it.
local function begins_running(job, task, stream, id, consumer, delivery, now)
  if job.f.limit_ms and not is_running(job.f['task.' .. task]) and bump(job, 'running', 1) == 1 then
    set(job, 'busy_since', now)
  end
  set(job, 'task.' .. task, run_place(stream, id, now, consumer, delivery))
end
local function ends_running(job, task, now)
  if job.f.limit_ms and is_running(job.f['task.' .. task]) and bump(job, 'running', -1) == 0 then
    set(job, 'busy_ms', number(job, 'busy_ms') + now - (tonumber(field(job, 'busy_since')) or now))
  end
end
local function forget(job, task, touched)
  unset(job, 'task.' .. task)
  if touched then
    unset(job, 'crash.' .. task)
    unset(job, 'checkpoint.' .. task)
    unset(job, 'emitted.' .. task)
  end
end
-- Put an entry of an open task into its stage's stream.
local function add_entry(job, task, stream, flow, attempt, traceparent, data)
  local id = redis.call('XADD', stream, '*', 'job', job.id, 'task', task, 'flow', flow,
    'attempt', attempt, 'traceparent', traceparent, 'data', data)
  set(job, 'task.' .. task, place(stream, id))
  local added = job.added
  if added then added[#added + 1] = id else job.added = {id} end
end
-- An element of a parked list that begins with '@' stands for a chunk in the artifact store ('@<tasks> <chunk>');
-- <stage>.spilled counts the tasks that are only there: those of a chunk but one, for which its element counts.
local SPILL_EVERY, SOON = 256, 64
local function is_chunk(packed)
  return packed and string.sub(packed, 1, 1) == '@'
end
-- Have a worker, by way of the timers, spill a list that has become long or read the chunk that is next.
local function ask_for(what, job, stage)
  redis.call('ZADD', TIMERS, 'NX', now_ms(), what .. '/' .. job.id .. '/' .. stage)
end
-- Open a new task: into the stream, or parked when the job's window at that stage is full.
-- `to` = {stream, parked, stage, window}. Returns the task's number.
local function open_task(job, to, flow, traceparent, data)
  local task = tonumber(job.f.next)
  set(job, 'next', task + 1)
  local told = '{"task":' .. task .. ',"stage":"' .. to.stage .. '","data":' .. data
  -- What a replay must not emit again, or has spent already.
  if to.once and to.once ~= '' then told = told .. ',"once":' .. cjson.encode(to.once) end
  if to.budget and to.budget ~= '' then told = told .. ',"budget":' .. cjson.encode(to.budget) end
  told = told .. '}'
  local opened = job.opened
  if opened then opened[#opened + 1] = told else job.opened = {told} end
  local open = number(job, to.stage .. '.open')
  count_open(job, to.stage, 1)
  -- What is only in chunks counts as in the window here: who comes later waits behind it.
  if to.parked and open >= to.window and open - redis.call('LLEN', to.parked) >= to.window then
    local length = redis.call('RPUSH', to.parked, cjson.encode({task, flow, traceparent, data}))
    if length % SPILL_EVERY == 0 then ask_for('spill', job, to.stage) end
  else
    add_entry(job, task, to.stream, flow, '1', traceparent, data)
  end
  return task
end
-- Let parked tasks into the places of the window at this stage that are free, the oldest first.
local function admit_parked(job, to)
  local open = number(job, to.stage .. '.open')
  if not to.parked or open == 0 then return end
  local listed = redis.call('LLEN', to.parked)
  if listed == 0 then return end
  local spilled = number(job, to.stage .. '.spilled')
  for _ = 1, math.min(listed, to.window - (open - listed - spilled)) do
    local packed = redis.call('LINDEX', to.parked, 0)
    if is_chunk(packed) then break end
    redis.call('LPOP', to.parked)
    local parked = cjson.decode(packed)
    add_entry(job, parked[1], to.stream, parked[2], 1, parked[3], parked[4])
  end
  if spilled > 0 and (is_chunk(redis.call('LINDEX', to.parked, 0)) or is_chunk(redis.call('LINDEX', to.parked, SOON))) then
    ask_for('unspill', job, to.stage)
  end
end
