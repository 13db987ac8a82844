# The helper VM's init after the initramfs: run the job, write everything to the disks, end.
cd /run/job
PYTHONDONTWRITEBYTECODE=1 PATH=/usr/sbin:/usr/bin:/sbin:/bin python3 -S -E -m guest job.json
/bin/busybox sync
/bin/busybox reboot -f
