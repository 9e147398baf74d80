#!lua flags=allow-oom
-- emit: open what a handler emits while it is still running; each emission once per (task, sequence).
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 stream  6 job record  7.. streams, parked lists, once set
-- ARGV   consumer, entry id, delivery, job, task, stage, flow, traceparent, sequence of the first emission (from 1),
--        emission count; per emission: stream key, parked key, window, stage, once key, once, budget, data
-- RETURN 0 opened | 1 the job is over | -2 | -3 | -4 | -5 as complete
local consumer, id, delivery, job_id, task, stage, flow = arg(), arg(), num_arg(), arg(), arg(), arg(), arg()
local traceparent, sequence, count = arg(), num_arg(), num_arg()
local refusal = refused(KEYS[5], id, consumer, delivery)
if refusal then return refusal end
local emitted = 'emitted.' .. task
local job = load_job(KEYS[6], job_id, {'task.' .. task, emitted})
if not job then return UNKNOWN_JOB end
if not is_issued(job, task, KEYS[5], id) then return UNKNOWN_TASK end
if is_closed(job) then return DROPPED end
local done, fresh, data = number(job, emitted), {}, {}
for i = 1, count do
  local emit = {stream = key_arg(), parked = key_arg(), window = num_arg(), stage = arg(),
    once_key = key_arg(), once = arg(), budget = arg()}
  local payload = arg()
  if sequence + i - 1 > done then fresh[#fresh + 1], data[#data + 1] = emit, payload end
end
if #fresh == 0 then return OK end
set(job, emitted, sequence + count - 1)
emit_all(job, fresh, data, flow, traceparent)
save(job)
happened('emitted', job, {'task', task, 'stage', stage, 'delivery', delivery, 'worker', consumer,
  'traceparent', traceparent})
return OK
