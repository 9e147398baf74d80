#!lua flags=allow-oom
-- complete: close a batch of one partition's entries and open what they emit; each entry all or nothing.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records, parked lists, once sets
-- ARGV   consumer, record ttl s, route count; per route: stage, flow, stream key, window, compile stream key,
--        notify stream key; target count; per target: stage, stream key, window; entry count;
--        per entry: route, job key, entry id, task, started_at ms, traceparent, plain (1 or 0), emission count;
--        when not plain: parked key or 0, delivery, attempt, missing count, collected count, touched (1: the task may
--        have crash, checkpoint or emitted fields); per emission: target, data; when not plain: parked key or 0, once key or 0;
--        with a once key also: once, budget
-- RETURN per entry the ids of the entries it opened, with spaces between | or a code: 0 closed, none opened | 1 closed, its job is over, emissions dropped | -2 not this consumer's to close:
--        closed before, or taken out | -3 superseded delivery | -4 no such job
--        | -9 more of the job is open at a stage than one: send again with the parked keys
local consumer, record_ttl_s = arg(), num_arg()
local routes, targets = {}, {}
for i = 1, num_arg() do
  local route = {stage = arg(), flow = arg(), stream = key_arg(), window = num_arg(),
    compile = {stage = 'compile', stream = key_arg()}, notify = {stage = 'notify', stream = key_arg()}}
  route.open, route.done, route.place = route.stage .. '.open', route.stage .. '.done', place(route.stream, '')
  route.closed = {}
  routes[i] = route
end
for i = 1, num_arg() do
  local stage = arg()
  targets[i] = {stage = stage, stream = key_arg(), window = num_arg(), open = stage .. '.open', once = '', budget = ''}
end
local now = now_ms()

local function read_emission(plain)
  local target, data = args(2)
  local to = targets[tonumber(target)]
  if plain then return to, data end
  local emit = {stage = to.stage, stream = to.stream, window = to.window, open = to.open, once = '', budget = '',
    parked = key_arg(), once_key = key_arg()}
  if emit.once_key then emit.once, emit.budget = args(2) end
  return emit, data
end

-- All of a stream at once: two calls an entry less. Until then the register, which is gone, refuses whoever asks again.
local function take_out_closed(route)
  if not route.closed[1] then return end
  take_out(route.stream, unpack(route.closed))
  route.closed = {}
end

-- The register is the fence: it names the lease that the task runs under; or nobody started it and nobody took it
-- from its first reader, who alone has a first delivery to close. What else it says, the pending list decides.
local function refusal_of(register, route, id, delivery)
  local here = route.place .. id
  if delivery == 1 and register == here then return nil end
  -- Not by when it started: the announcement of that may still be on its way to the consumer.
  local run, lease = here .. ' run ', ' ' .. consumer .. ' ' .. delivery
  if register and string.sub(register, 1, #run) == run and string.sub(register, -#lease) == lease then return nil end
  take_out_closed(route)
  return refused(route.stream, id, consumer, delivery) or NOT_PENDING
end

local function complete(route, job_key, id, task, started_at, traceparent, emits, data, parked, delivery, attempt, missing, collected, touched)
  local stage, register, first = route.stage, 'task.' .. task, emits[1]
  local job = load_job(job_key, string.sub(job_key, PREFIX_LENGTH + 5), {register, route.open, route.done, first and first.open})
  if not job then return UNKNOWN_JOB end
  local refusal = refusal_of(job.f[register], route, id, delivery)
  if refusal then return refusal end
  if not parked and (number(job, route.open) > 1 or #emits > 1) then return IS_WIDE end
  if not parked and first and number(job, first.open) > 0 then return IS_WIDE end
  local over = is_closed(job) and stage ~= 'notify'

  route.closed[#route.closed + 1] = id
  begin(job, started_at)
  ends_running(job, task, now)
  forget(job, task, touched)
  count_open(job, stage, -1)
  if not over then
    bump(job, route.done, 1)
    if missing > 0 and stage ~= 'compile' then bump(job, 'missing', missing) end
    if parked then admit_parked(job, {stage = stage, stream = route.stream, window = route.window, parked = parked}) end
    emit_all(job, emits, data, route.flow, traceparent)
    if stage == 'compile' then
      load_more(job, {'dead', 'missing', 'compile_due', 'compiling', 'then', 'compile.failed', 'notify.failed', 'notify.open', 'compile.missing'})
      -- Each revision's compile says anew what is missing.
      local before = number(job, 'compile.missing')
      if missing ~= before then
        bump(job, 'missing', missing - before)
        set(job, 'compile.missing', missing)
      end
      join_compile(job, outcome_of(job), nil, route.compile, route.notify, traceparent, now)
    elseif stage == 'notify' then
      join_notify(job, outcome_of(job), nil, traceparent, now)
    else
      join_work(job, route.compile, route.notify, traceparent, now)
    end
  end
  save(job)
  let_expire(job, record_ttl_s)
  local extra = {'task', task, 'stage', stage, 'worker', consumer, 'started_at', started_at}
  if attempt ~= '1' or delivery ~= 1 then
    extra[9], extra[10], extra[11], extra[12] = 'attempt', attempt, 'delivery', delivery
  end
  if missing > 0 then extra[#extra + 1], extra[#extra + 2] = 'missing', missing end
  if collected > 0 then extra[#extra + 1], extra[#extra + 2] = 'collected', collected end
  happened(over and 'dropped' or 'completed', job, extra)
  return over and DROPPED or job.added and table.concat(job.added, ' ') or OK
end

local codes = {}
for i = 1, num_arg() do
  local route, job_key, id, task, started_at, traceparent, plain, count = args(8)
  plain = plain == '1'
  local parked, delivery, attempt, missing, collected, touched = nil, 1, '1', 0, 0, false
  if not plain then
    parked, delivery, attempt, missing, collected, touched = key_arg(), num_arg(), arg(), num_arg(), num_arg(), arg() == '1'
  end
  local emits, data = {}, {}
  for e = 1, tonumber(count) do emits[e], data[e] = read_emission(plain) end
  codes[i] = complete(routes[tonumber(route)], KEYS[tonumber(job_key)], id, task, started_at, traceparent, emits, data,
    parked, delivery, attempt, missing, collected, touched)
end
for i = 1, #routes do take_out_closed(routes[i]) end
return codes
