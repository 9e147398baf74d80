-- emissions: open a task for each thing a handler emitted, unless it repeats one or exceeds the job's budget.
local STAGE_ORDER = {crawl = 1, classify = 2, download = 3, extract = 4, compile = 5, notify = 6}
local function is_wanted(job, emit)
  local until_stage = job.f.until_stage
  if until_stage and STAGE_ORDER[emit.stage] > STAGE_ORDER[until_stage] then return false end
  local budget = emit.budget ~= '' and 'budget.' .. emit.budget
  local left = budget and field(job, budget)
  if left and tonumber(left) <= 0 then
    if emit.once == '' or redis.call('SISMEMBER', emit.once_key, emit.once) == 0 then bump(job, 'over_budget', 1) end
    return false
  end
  if emit.once ~= '' then
    if redis.call('SADD', emit.once_key, emit.once) == 0 then return false end
    redis.call('EXPIRE', emit.once_key, 2592000)
  end
  if left then bump(job, budget, -1) end
  return true
end
-- `data` has a payload for each of `emits`.
local function emit_all(job, emits, data, flow, traceparent)
  for i = 1, #emits do
    if is_wanted(job, emits[i]) then open_task(job, emits[i], flow, traceparent, data[i]) end
  end
end
