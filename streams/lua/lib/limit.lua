-- limit: a job's time limit counts running time; waits are not counted, nor are notifications
-- of a job that has ended.
local function is_over_limit(job, now)
  if not job.f.limit_ms or is_ended(job) then return false end
  local busy = number(job, 'busy_ms')
  if number(job, 'running') > 0 then busy = busy + now - (tonumber(field(job, 'busy_since')) or now) end
  return busy > tonumber(job.f.limit_ms)
end
