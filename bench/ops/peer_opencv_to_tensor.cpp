/*
 * OpenCV's way from 1080p BGR u8 to 640 × 640 RGB f32 NCHW on one thread: resize, cvtColor,
 * dnn::blobFromImage with a scale of 1/255. And the way by hand that skips the dnn module:
 * resize, cvtColor, convertTo, split into the planes.
 *
 *   peer_opencv_to_tensor [ROUNDS]
 *
 * Prints "opencv blob median_ms min_ms" and "opencv split median_ms min_ms".
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>

namespace
{

struct Work {
    cv::Mat image, resized, rgb, real, blob;
    std::vector<cv::Mat> planes;
};

void prepare(Work &w)
{
    cv::resize(w.image, w.resized, cv::Size(640, 640), 0, 0, cv::INTER_LINEAR);
    cv::cvtColor(w.resized, w.rgb, cv::COLOR_BGR2RGB);
}

void with_blob(Work &w)
{
    prepare(w);
    cv::dnn::blobFromImage(w.rgb, w.blob, 1.0 / 255.0, cv::Size(640, 640), cv::Scalar(), false,
                           false, CV_32F);
}

void with_split(Work &w)
{
    prepare(w);
    w.rgb.convertTo(w.real, CV_32F, 1.0 / 255.0);
    cv::split(w.real, w.planes);
}

void measure(const char *name, void (*run)(Work &), Work &work, int rounds)
{
    std::vector<double> ms;
    for (int i = -5; i < rounds; i++) {
        const auto start = std::chrono::steady_clock::now();
        run(work);
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - start;
        if (i >= 0) ms.push_back(took.count());
    }
    std::sort(ms.begin(), ms.end());
    std::printf("opencv %s %.3f %.3f\n", name, ms[ms.size() / 2], ms[0]);
}

} // namespace

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
    if (rounds < 1) {
        std::fprintf(stderr, "usage: %s [ROUNDS]\n", argv[0]);
        return 2;
    }
    cv::setNumThreads(1);
    Work work;
    work.image.create(1080, 1920, CV_8UC3);
    cv::theRNG().state = 1;
    cv::randu(work.image, 0, 256);
    const int sizes[] = {3, 640, 640};
    cv::Mat planes(3, sizes, CV_32F);
    for (int c = 0; c < 3; c++)
        work.planes.emplace_back(640, 640, CV_32F, planes.ptr<float>(c));
    measure("blob", with_blob, work, rounds);
    measure("split", with_split, work, rounds);
    return 0;
}
