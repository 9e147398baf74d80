#!lua flags=allow-oom
-- unspill: put a chunk's tasks back in the place of its name, let in those that the window has places for, and withdraw
-- the request for it; asks again when the next chunk is near. Without a chunk it does the rest of this.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record  6 parked list  7 stage stream
-- ARGV   job, stage, window, chunk or '', number of its tasks, the tasks as they were parked
-- RETURN 0 done | 1 the job is over: what is left of it may go | -4 no such job | -8 the chunk is not named there (any more)
local job_id, stage, window, chunk, count = arg(), arg(), num_arg(), arg(), num_arg()
local parked = KEYS[6]
redis.call('ZREM', TIMERS, 'unspill/' .. job_id .. '/' .. stage)
local job = load_job(KEYS[5], job_id, {stage .. '.open', stage .. '.spilled'})
if not job then return UNKNOWN_JOB end
if is_closed(job) then return DROPPED end
local code, name = OK, '@' .. count .. ' ' .. chunk
local at = chunk ~= '' and redis.call('LPOS', parked, name)
if at then
  local ahead = redis.call('LPOP', parked, at + 1)
  for i = #ARGV, cursor + 1, -1 do redis.call('LPUSH', parked, ARGV[i]) end
  for i = at, 1, -1 do redis.call('LPUSH', parked, ahead[i]) end
  bump(job, stage .. '.spilled', 1 - count)
elseif chunk ~= '' then
  code = NOT_FOUND
end
admit_parked(job, {stage = stage, stream = KEYS[7], window = window, parked = parked})
save(job)
return code
