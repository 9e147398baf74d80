#!lua
-- adopt: make a job of an entry that was put straight into a stage stream; once per (stream, entry id).
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 stream  6 job record
-- ARGV   consumer, entry id, delivery, job, stage, flow, tenant, traceparent, data, field count, record fields
-- RETURN 0 adopted | 2 adopted before | -2 not pending here | -3 superseded delivery
local consumer, id, delivery = arg(), arg(), num_arg()
local j = {stream = KEYS[5], key = KEYS[6], id = arg(), stage = arg(), flow = arg(), tenant = arg(),
  traceparent = arg(), data = arg(), due_at = 0, fields = {}}
for f = 1, num_arg() * 2 do j.fields[f] = arg() end
local refusal = refused(j.stream, id, consumer, delivery)
if refusal then return refusal end
take_out(j.stream, id)
if redis.call('EXISTS', j.key) == 1 then return DUPLICATE end
open_job(j, now_ms(), 'adopted', {'task', 1, 'stage', j.stage, 'traceparent', j.traceparent, 'data', j.data,
  'worker', consumer, 'origin', string.sub(j.stream, PREFIX_LENGTH + 1) .. ' ' .. id})
return OK
