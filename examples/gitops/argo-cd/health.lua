-- The health of a TenantPricing or a PlatformConnection, from its conditions.
local health = {status = "Progressing", message = "not read yet"}
if obj.status == nil or obj.status.conditions == nil then return health end
if obj.status.observedGeneration ~= obj.metadata.generation then return health end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    return {status = "Degraded", message = condition.message}
  end
  if condition.type == "Ready" then
    health.message = condition.message
    if condition.status == "True" then health.status = "Healthy" end
  end
end
return health
