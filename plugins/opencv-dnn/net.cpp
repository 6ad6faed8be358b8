#include "net.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/core/parallel/parallel_backend.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>

namespace
{

/* ---- errors ------------------------------------------------------------------------------ */

/* One of our own calls failed inside of OpenCV: its error record is this thread's already. */
struct Stopped {
    nnd_status status;
};

/* OpenCV's messages have several lines with lists below; here they become one. */
std::string one_line(const char *text)
{
    std::string line;
    for (; *text; text++) {
        bool is_blank = static_cast<unsigned char>(*text) <= ' ';
        if (!is_blank)
            line += *text;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line;
}

/* Runs `body` and turns whatever it throws into a status; `failure` is that of OpenCV's errors. */
template <typename Body>
nnd_status guarded(const nnd_host *host, const char *model, nnd_status failure, const char *what,
                   Body body)
{
    auto fail = [=](nnd_status status, const char *why) {
        return host->error_set(status, "OpenCV, model '%s': cannot %s: %s", model, what, why);
    };
    try {
        body();
        return NND_OK;
    } catch (const Stopped &stopped) {
        return fail(stopped.status, host->status_name(stopped.status));
    } catch (const std::bad_alloc &) {
        return fail(NND_E_OUT_OF_MEMORY, "no memory");
    } catch (const cv::Exception &e) {
        nnd_status status = e.code == cv::Error::StsNoMem            ? NND_E_OUT_OF_MEMORY
                            : e.code == cv::Error::StsNotImplemented ? NND_E_UNSUPPORTED
                                                                     : failure;
        return fail(status, one_line(e.what()).c_str());
    } catch (const std::exception &e) {
        return fail(failure, e.what());
    } catch (...) {
        return fail(failure, "it gives no reason");
    }
}

/* ---- threads ----------------------------------------------------------------------------- */

/* What the loops of this thread belong to; NULL outside of a run. */
struct Run {
    const nnd_host *host;
    nnd_cancel *cancel;
    int threads;
};
thread_local Run *current_run;
thread_local int current_lane;

/* OpenCV's parallel loops run on the host's threads: one budget for the process, and a place where
   a run can be stopped. */
class HostLoops final : public cv::parallel::ParallelForAPI
{
  public:
    explicit HostLoops(const nnd_host *table) : host(table) {}
    void parallel_for(int tasks, FN_parallel_for_body_cb_t body, void *data) override
    {
        Loop loop = {body, data};
        const Run *run = current_run;
        nnd_status status = host->parallel_for(static_cast<size_t>(tasks), run ? run->threads : 0,
                                               do_tile, &loop, run ? run->cancel : nullptr);
        if (status != NND_OK) throw Stopped{status};
    }
    int getThreadNum() const override
    {
        return current_lane;
    }
    /* Never one: then OpenCV would not ask for a loop, and the run could not be stopped. */
    int getNumThreads() const override
    {
        int threads = current_run ? current_run->threads : 0;
        if (threads <= 0) threads = host->sched_threads();
        return threads > 2 ? threads : 2;
    }
    int setNumThreads(int) override
    {
        return getNumThreads();
    }
    const char *getName() const override
    {
        return "nndeploy";
    }

  private:
    struct Loop {
        FN_parallel_for_body_cb_t body;
        void *data;
    };
    static nnd_status do_tile(void *user, size_t index, int lane)
    {
        auto *loop = static_cast<Loop *>(user);
        int before = current_lane;
        current_lane = lane;
        /* OpenCV's own body keeps what it throws for the end of the loop. */
        loop->body(static_cast<int>(index), static_cast<int>(index) + 1, loop->data);
        current_lane = before;
        return NND_OK;
    }
    const nnd_host *host;
};

/* Once per process, before the first network. The object is never freed: OpenCV's threads of other
   users may call it until the end. */
void take_over_loops(const nnd_host *host)
{
    static std::once_flag once;
    std::call_once(once, [host] {
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
        static auto *loops = new HostLoops(host);
        cv::parallel::setParallelForBackend(
            std::shared_ptr<cv::parallel::ParallelForAPI>(loops, [](void *) {}), false);
    });
}

/* ---- shapes ------------------------------------------------------------------------------ */

/* Sides of a matrix; it has two at least. */
std::vector<int> sides_of(const nnd_tensor *t)
{
    std::vector<int> sides(t->dims, t->dims + t->rank);
    while (sides.size() < 2)
        sides.push_back(1);
    return sides;
}

/* Whether the shape can be told before a run. */
bool shape_of(const nnd_model_port *port, cv::dnn::MatShape *shape)
{
    for (int d = 0; d < port->rank; d++) {
        if (port->dims[d].value < 1) return false;
        shape->push_back(static_cast<int>(port->dims[d].value));
    }
    return port->rank >= 2;
}

} // namespace

/* ---- networks ---------------------------------------------------------------------------- */

struct opencv_net {
    const nnd_host *host;
    const opencv_ports *ports; /* the model's */
    cv::dnn::Net net;
    std::vector<cv::String> output_names;
    std::vector<cv::Mat> outputs;
};

namespace
{

/* OpenCV makes layers and works out shapes when a network first runs. What it cannot do is wanted
   earlier. */
void check_layers(opencv_net *n)
{
    std::vector<cv::dnn::MatShape> shapes;
    for (const cv::String &name : n->net.getLayerNames())
        n->net.getLayer(name);
    for (size_t i = 0; i < n->ports->input_count; i++) {
        cv::dnn::MatShape shape;
        if (!shape_of(&n->ports->items[i], &shape)) return;
        shapes.push_back(shape);
    }
    std::vector<int> ids;
    std::vector<std::vector<cv::dnn::MatShape>> in, out;
    n->net.getLayersShapes(shapes, ids, in, out);
}

void set_target(cv::dnn::Net &net, const opencv_setup *setup)
{
    bool is_opencl = strcmp(setup->device, "opencl") == 0;
    net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net.setPreferableTarget(!is_opencl    ? cv::dnn::DNN_TARGET_CPU
                            : setup->half ? cv::dnn::DNN_TARGET_OPENCL_FP16
                                          : cv::dnn::DNN_TARGET_OPENCL);
    net.enableFusion(setup->fusion);
}

} // namespace

const char *opencv_version(void)
{
    static char version[32];
    static std::once_flag once;
    std::call_once(once, [] {
        snprintf(version, sizeof version, "%d.%d.%d", cv::getVersionMajor(), cv::getVersionMinor(),
                 cv::getVersionRevision());
    });
    return version;
}

void opencv_devices(char *text, size_t size)
{
    snprintf(text, size, "cpu");
    try {
        for (cv::dnn::Target target : cv::dnn::getAvailableTargets(cv::dnn::DNN_BACKEND_OPENCV))
            if (target == cv::dnn::DNN_TARGET_OPENCL) snprintf(text, size, "cpu opencl");
    } catch (...) {
        snprintf(text, size, "cpu"); /* a broken OpenCL is as good as none */
    }
}

nnd_status opencv_net_create(const nnd_host *host, const void *bytes, size_t size,
                             const opencv_setup *setup, const opencv_ports *ports, opencv_net **out)
{
    return guarded(host, ports->model, NND_E_UNSUPPORTED, "read it", [&] {
        take_over_loops(host);
        std::unique_ptr<opencv_net> n(new opencv_net);
        n->host = host;
        n->ports = ports;
        for (size_t i = 0; i < ports->output_count; i++)
            n->output_names.push_back(ports->items[ports->input_count + i].name);
        n->net = cv::dnn::readNetFromONNX(static_cast<const char *>(bytes), size);
        check_layers(n.get());
        set_target(n->net, setup);
        *out = n.release();
    });
}

void opencv_net_destroy(opencv_net *net)
{
    delete net;
}

nnd_status opencv_net_set_input(opencv_net *net, size_t index, const nnd_tensor *tensor)
{
    return guarded(net->host, net->ports->model, NND_E_BACKEND, "take an input", [&] {
        cv::Mat blob(sides_of(tensor), CV_32F, tensor->data);
        net->net.setInput(blob, net->ports->items[index].name);
    });
}

nnd_status opencv_net_run(opencv_net *net, int threads, nnd_cancel *cancel)
{
    Run run = {net->host, cancel, threads};
    net->outputs.clear();
    current_run = &run;
    nnd_status status = guarded(net->host, net->ports->model, NND_E_BACKEND, "run it",
                                [&] { net->net.forward(net->outputs, net->output_names); });
    current_run = nullptr;
    return status;
}

nnd_status opencv_net_output(opencv_net *net, size_t index, nnd_tensor *view)
{
    const cv::Mat &mat = net->outputs[index];
    int64_t dims[NND_MAX_RANK];
    if (mat.type() != CV_32F || !mat.isContinuous() || mat.dims > NND_MAX_RANK)
        return net->host->error_set(NND_E_UNSUPPORTED,
                                    "OpenCV gives output '%s' in a form that is not read: type "
                                    "%d, %d dimensions",
                                    net->output_names[index].c_str(), mat.type(), mat.dims);
    for (int d = 0; d < mat.dims; d++)
        dims[d] = mat.size[d];
    return net->host->tensor_init(view, NND_F32, mat.dims, dims, mat.data);
}

nnd_status opencv_net_profile(opencv_net *net, nnd_json_writer *w)
{
    const nnd_host *host = net->host;
    return guarded(host, net->ports->model, NND_E_BACKEND, "tell its times", [&] {
        std::vector<double> ticks;
        std::vector<cv::String> names = net->net.getLayerNames();
        net->net.getPerfProfile(ticks);
        host->json_begin_array(w);
        for (size_t i = 0; i < names.size() && i < ticks.size(); i++) {
            host->json_begin_object(w);
            host->json_key(w, "name");
            host->json_put_string(w, names[i].c_str());
            host->json_key(w, "op");
            host->json_put_string(w, net->net.getLayer(names[i])->type.c_str());
            host->json_key(w, "ms");
            host->json_put_number(w, ticks[i] / cv::getTickFrequency() * 1e3);
            host->json_end_object(w);
        }
        host->json_end_array(w);
    });
}
