#!lua flags=allow-oom
-- reclaim: take a batch of entries over from the consumer that was seen holding them too long, or that is known dead.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   new consumer ('released' gives them to whoever has room), entry count; per entry: stream key, job key or 0,
--        entry id, seen consumer, seen delivery, least idle ms, job or '', task or '', stage
-- RETURN per entry the new delivery count | -2 not pending | -3 it changed hands or was renewed meanwhile
local consumer, count = arg(), num_arg()
local now = now_ms()

local function reclaim(e)
  local refusal = refused(e.stream, e.id, e.seen_consumer, e.delivery)
  if refusal then return refusal end
  local taken
  if consumer == 'released' then
    taken = redis.call('XCLAIM', e.stream, GROUP, consumer, e.idle_ms, e.id, 'JUSTID')
  else
    taken = redis.call('XCLAIM', e.stream, GROUP, consumer, e.idle_ms, e.id)
  end
  if #taken == 0 then return SUPERSEDED end
  local delivery = consumer == 'released' and e.delivery or e.delivery + 1
  if e.seen_consumer == 'released' or not e.job_key then return delivery end
  local register = 'task.' .. e.task
  local job = load_job(e.job_key, e.job, {register, 'crash.' .. e.task})
  if not job or not is_issued(job, e.task, e.stream, e.id) then return delivery end
  local was = job.f[register]
  bump(job, 'crash.' .. e.task, 1)
  ends_running(job, e.task, now)
  set(job, register, place(e.stream, e.id) .. ' again')
  save(job)
  happened('reclaimed', job, {'task', e.task, 'stage', e.stage, 'delivery', e.delivery, 'worker', e.seen_consumer,
    'started_at', string.match(was, ' run (%d+)') or '', 'reason', consumer == 'released' and 'worker died' or 'lease ran out'})
  return delivery
end

local replies = {}
for i = 1, count do
  replies[i] = reclaim({stream = key_arg(), job_key = key_arg(), id = arg(), seen_consumer = arg(),
    delivery = num_arg(), idle_ms = arg(), job = arg(), task = arg(), stage = arg()})
end
return replies
